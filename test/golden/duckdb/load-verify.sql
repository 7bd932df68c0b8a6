SELECT count(*) FILTER (t._version >= s.v), count(*) FILTER (t._version IS NULL OR t._version < s.v)
FROM (SELECT CAST("id" AS VARCHAR) AS k, _version AS v FROM read_parquet('/stage/rows')) AS s
LEFT JOIN "crm"."contact" AS t ON s.k = t."id"
