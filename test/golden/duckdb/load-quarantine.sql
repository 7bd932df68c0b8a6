INSERT INTO _headwater.quarantine
SELECT $2, $3, $4, $5, record, field, value, coalesce(reason, 'unknown'), raw, $1::TIMESTAMPTZ
FROM read_parquet('/stage/bad')
