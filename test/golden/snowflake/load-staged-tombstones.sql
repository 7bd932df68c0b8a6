SELECT CAST("id" AS VARCHAR) AS "K", "_version" AS "_VERSION", "_confirmed_at" AS "_CONFIRMED_AT" FROM read_parquet(['/stage/gone'])
