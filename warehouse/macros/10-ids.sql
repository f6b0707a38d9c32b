-- How is an id written, and how is it read?
CREATE MACRO id_text(id) AS
  regexp_replace(lower(hex(id)), '^(.{8})(.{4})(.{4})(.{4})(.{12})$', '\1-\2-\3-\4-\5');
CREATE MACRO id_blob(id_as_text) AS unhex(replace(id_as_text, '-', ''));
-- Resources are counted by label: what names one thing among thousands (a long number, a uuid, a digest, something masked) is cut out of it.
CREATE MACRO resource_label(resource) AS
  regexp_replace(
    resource,
    '[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[0-9a-fA-F]{16,}|[0-9]{5,}|\[[a-z_]+:[a-p]{10}\]', '…', 'g'
  );
CREATE MACRO to_minute(moment) AS make_timestamptz(epoch_us(moment) // 60000000 * 60000000);
CREATE MACRO to_hour(moment) AS make_timestamptz(epoch_us(moment) // 3600000000 * 3600000000);
CREATE MACRO to_month(moment) AS strftime(moment, '%Y-%m');
