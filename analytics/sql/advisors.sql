-- How good each advisor is, by provider and model: its opinions, how many of them it abstained in or gave too late, what they
-- took, and whether what it says is true. `stated_confidence` and `success_rate` are of the `verified` ones, whose action was done
-- and verified: an advisor that is right as often as it says has both equal (`overconfidence` is their difference), and a low
-- `brier` (mean squared error, 0.25 for a coin). `trust` is what its latest verified confidence was worth to the fold since.
CREATE VIEW advisors AS
SELECT
    agent_name AS advisor,
    provider,
    model,
    count(*) AS opinions,
    count(*) FILTER (source = 'model') AS by_model,
    count(*) FILTER (vote = 'abstained') AS abstentions,
    count(*) FILTER (vote = 'late') AS late,
    count(*) FILTER (vote = 'not trusted') AS distrusted,
    count(*) FILTER (vote = 'for') AS agreed,
    count(*) FILTER (vote = 'against') AS disagreed,
    count(*) FILTER (helped IS NOT NULL) AS verified,
    count(*) FILTER (helped) AS helped,
    round(avg(stated_confidence) FILTER (helped IS NOT NULL), 4) AS stated_confidence,
    round(avg(confidence) FILTER (helped IS NOT NULL), 4) AS calibrated_confidence,
    round(avg(helped::INTEGER), 4) AS success_rate,
    round(avg(stated_confidence - helped::INTEGER) FILTER (helped IS NOT NULL), 4) AS overconfidence,
    round(avg((stated_confidence - helped::INTEGER) ** 2), 4) AS brier,
    arg_max(confidence_since, id) FILTER (confidence_since IS NOT NULL) AS trust,
    round(avg(execution_time_seconds), 3) AS mean_seconds,
    round(max(execution_time_seconds), 3) AS longest_seconds,
    CAST(sum(tokens) AS BIGINT) AS tokens,
    round(sum(cost_usd), 6) AS cost_usd,
    max("timestamp") AS latest_at
FROM agent_consultations
GROUP BY agent_name, provider, model
ORDER BY advisor, provider, model;
