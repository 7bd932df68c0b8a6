SELECT count(*), count(DISTINCT hash("id")) FROM read_parquet('/stage/rows')
