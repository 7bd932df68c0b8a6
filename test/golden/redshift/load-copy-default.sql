COPY "_headwater_rows" FROM 's3://bucket/1.parquet' IAM_ROLE default FORMAT AS PARQUET STATUPDATE OFF
