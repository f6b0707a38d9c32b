-- In which order are the rows of merged files kept? In that of what is asked of them: one project, one agent, a time.
CREATE MACRO merged_decision(files) AS TABLE
SELECT * FROM rows_of(files) ORDER BY project_id, agent_id, occurred_at;
CREATE MACRO merged_outcome(files) AS TABLE
SELECT * FROM rows_of(files) ORDER BY project_id, decision_id;
CREATE MACRO merged_finding(files) AS TABLE
SELECT * FROM rows_of(files) ORDER BY project_id, type, occurred_at;
CREATE MACRO merged_quarantine(files) AS TABLE
SELECT * FROM rows_of(files) ORDER BY project_id, received_at;
CREATE MACRO merged_tally(files) AS TABLE
SELECT * FROM rows_of(files) ORDER BY project_id, producer_id, first_seq;
