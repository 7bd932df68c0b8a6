INSERT INTO _headwater.quarantine (batch, "window", connection, object, record, field, value, reason, raw, quarantined_at)
SELECT $2, $3, $4, $5, record, field, value, coalesce(reason, 'unknown'), raw, $1::TIMESTAMPTZ
FROM read_parquet('/stage/bad')
