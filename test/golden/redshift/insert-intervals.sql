INSERT INTO _headwater.intervals (seq, "window", connection, object, "from", until, attempt, batches, receipt, committed_at) VALUES
  ($1, $2, $3, $4, $5, $6, $7, $8, $9, CAST($10 AS timestamptz)),
  ($11, $12, $13, $14, $15, $16, $17, $18, $19, CAST($20 AS timestamptz))
