SELECT DISTINCT path_in_schema AS name FROM parquet_metadata(['/stage/a']) WHERE total_uncompressed_size > 16777216
