SELECT count(*) FILTER (WHERE t._version >= s._version) AS present,
  count(*) FILTER (WHERE t._version IS NULL OR t._version < s._version) AS missing
FROM load_rows AS s LEFT JOIN "hw_crm"."contact" AS t ON t."id" = s."id"
