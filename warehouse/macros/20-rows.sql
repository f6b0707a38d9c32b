-- Which rows does this session see? Its files, its project; a session that says neither sees nothing.
CREATE MACRO rows_of(files) AS TABLE
  SELECT * FROM read_parquet(files, union_by_name = getvariable('evolved'))
  WHERE project_id = getvariable('project') OR getvariable('every_project');
