-- Which outcomes, findings, quarantined input and tallies were landed?
CREATE VIEW outcomes AS SELECT * FROM rows_of(getvariable('outcome_files'));
CREATE VIEW findings AS SELECT * FROM rows_of(getvariable('finding_files'));
CREATE VIEW quarantine AS SELECT * FROM rows_of(getvariable('quarantine_files'));
CREATE VIEW tallies AS SELECT * FROM rows_of(getvariable('tally_files'));
