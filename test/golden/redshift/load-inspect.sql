SELECT count(*) AS rows, count(DISTINCT hash("id")) AS keys FROM read_parquet(['/stage/rows'])
