-- What was left out under pressure, by slice: lines that were counted without a template, and named lines without text.
CREATE VIEW shed AS
SELECT
    source AS topic,
    source_partition AS partition,
    from_offset,
    to_offset,
    lines,
    shed_templates AS templates,
    shed_texts AS texts,
    appended(facts_append_ms) AS recorded_at,
    facts_offset
FROM segments.shed;
