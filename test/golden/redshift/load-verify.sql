SELECT SUM(CASE WHEN t._version >= s._version THEN 1 ELSE 0 END) AS present,
  SUM(CASE WHEN t._version >= s._version THEN 0 ELSE 1 END) AS missing
FROM _headwater_rows AS s LEFT JOIN "hw_crm"."contact" AS t ON t."id" = s."id"
