SELECT id AS k,CASE WHEN "deletedAt" IS NULL THEN TIMESTAMPTZ '2026-06-01T00:01:00.000Z' ELSE CASE WHEN (strlen("deletedAt")<=25 OR NOT regexp_matches("deletedAt",'\.\d{6}0*[1-9]')) THEN TRY_CAST("deletedAt" AS TIMESTAMPTZ) END END AS v FROM read_json(['/stage/gone'],format='newline_delimited',columns={'id':'VARCHAR','deletedAt':'VARCHAR'});

SELECT k AS "id",true AS _deleted,max(v) AS _version,TIMESTAMPTZ '2026-06-01T00:01:00.000Z' AS _confirmed_at,'w_1' AS _window FROM gone GROUP BY k
