SELECT count(*), count(DISTINCT "id") FROM read_parquet('/stage/rows')
