COPY "_headwater_rows" FROM 's3://bucket/headwater-redshift/1.parquet' IAM_ROLE 'arn:aws:iam::1:role/r' FORMAT AS PARQUET STATUPDATE OFF
