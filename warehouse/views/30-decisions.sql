-- Which decisions were landed, with what pages say of them?
CREATE VIEW decisions AS
SELECT
  *,
  coalesce(verdict, judged_verdict) AS shown_verdict,
  to_month(received_at) AS month,
  coalesce(verdict, judged_verdict) = 'deny' AND mode = 'log-only' AS would_deny,
  coalesce(verdict = 'deny' AND effect = 'deny', false) AS denied
FROM rows_of(getvariable('decision_files'));
