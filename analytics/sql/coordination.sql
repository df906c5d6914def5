-- The four ways of coordinating specialists, beside each other: how often one led to a verified success, how long it
-- took to act, and how well it used what it held (`efficiency` = seconds of steps / seconds held, over all members). Plans that called nobody do not count.
CREATE VIEW coordination AS
WITH held AS (
    SELECT plan, sum(held_seconds) AS held_seconds, sum(used_seconds) AS used_seconds
    FROM specialists
    GROUP BY plan
)
SELECT
    plans.way,
    count(*) AS plans,
    count(*) FILTER (plans.verified) AS verified,
    count(*) FILTER (plans.verified IS NOT NULL) AS judged,
    round(count(*) FILTER (plans.verified) / nullif(count(*) FILTER (plans.verified IS NOT NULL), 0), 4) AS success_rate,
    round(avg(plans.seconds_to_act), 3) AS seconds_to_act,
    round(avg(plans.seconds), 3) AS seconds,
    round(avg(plans.members), 2) AS members,
    round(avg(plans.looks), 2) AS looks,
    round(avg(plans.findings), 2) AS findings,
    round(sum(held.held_seconds), 3) AS held_seconds,
    round(sum(held.used_seconds), 3) AS used_seconds,
    round(sum(held.used_seconds) / nullif(sum(held.held_seconds), 0), 4) AS efficiency
FROM plans
LEFT JOIN held ON held.plan = plans.id
WHERE plans.members > 0
GROUP BY plans.way;
