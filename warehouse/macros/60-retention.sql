-- From when on are a project's rows kept, and how many of some files are older?
CREATE MACRO kept_since(project) AS
  coalesce(
    list_extract(getvariable('kept_since'), list_position(getvariable('kept_projects'), project)),
    getvariable('kept_since_otherwise')
  )::BIGINT;
CREATE MACRO expired_rows(files) AS TABLE
SELECT count(*) FILTER (WHERE epoch_us(received_at) < kept_since(project_id)) AS expired, count(*) AS held
FROM rows_of(files);
CREATE MACRO kept_decision(files) AS TABLE
SELECT * FROM merged_decision(files) WHERE received_at >= make_timestamptz(kept_since(project_id));
CREATE MACRO kept_outcome(files) AS TABLE
SELECT * FROM merged_outcome(files) WHERE received_at >= make_timestamptz(kept_since(project_id));
CREATE MACRO kept_finding(files) AS TABLE
SELECT * FROM merged_finding(files) WHERE received_at >= make_timestamptz(kept_since(project_id));
CREATE MACRO kept_quarantine(files) AS TABLE
SELECT * FROM merged_quarantine(files) WHERE received_at >= make_timestamptz(kept_since(project_id));
CREATE MACRO kept_rollup(files) AS TABLE
SELECT * FROM merged_rollup(files) WHERE received_at >= make_timestamptz(kept_since(project_id));
