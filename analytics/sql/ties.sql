-- Services whose trouble begins together more often than chance would have it. `leads`: it begins with `service` nearly
-- every time, `lag_seconds` before `other`. A pair that was found again counts as it was found last.
CREATE VIEW ties AS
SELECT
    service,
    regexp_extract(reason, '^\w+ (.*)$', 1) AS other,
    starts_with(reason, 'leads ') AS leads,
    CAST(figure(figures, 'meetings') AS BIGINT) AS meetings,
    figure(figures, 'expected') AS expected_by_chance,
    figure(figures, 'surprise') AS surprise,
    figure(figures, 'lag_ms') / 1000 AS lag_seconds,
    utc(at_ms) AS found_at,
    refers_to AS incident,
    seq
FROM segments.decisions
WHERE kind = 'tie_found'
QUALIFY row_number() OVER (PARTITION BY service, other ORDER BY seq DESC) = 1;
