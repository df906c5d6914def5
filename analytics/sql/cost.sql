-- What advice cost, by day (UTC), advisor, provider and model: opinions, tokens sent and come back, and US dollars. `saved`
-- are opinions that no model was asked for (research, or memory of an earlier answer); a request in vain is none.
CREATE VIEW cost AS
SELECT
    date_trunc('day', "timestamp") AS day_at,
    agent_name AS advisor,
    provider,
    model,
    count(*) AS opinions,
    count(*) FILTER (source IN ('research', 'cache')) AS saved,
    count(DISTINCT incident) AS incidents,
    coalesce(CAST(sum(tokens) AS BIGINT), 0) AS tokens,
    round(coalesce(sum(cost_usd), 0), 6) AS cost_usd
FROM agent_consultations
GROUP BY ALL
ORDER BY day_at, advisor, provider, model;
