-- Text that was erased on request: of which service, until when, by whom and why. Where it stood, a note says so. The same
-- with any --as-of: what was erased does not come back.
CREATE VIEW erasures AS
SELECT
    id,
    service,
    utc(before_ms) AS before_at,
    utc(erased_ms) AS erased_at,
    author,
    reason,
    texts
FROM segments.erasures;
