INSERT INTO _headwater.intervals
SELECT $2::BIGINT + row_number() OVER (ORDER BY n), w->>'window', w->>'connection', w->>'object', w->>'from', w->>'until',
  (w->>'attempt')::INTEGER, (w->'batches')::VARCHAR[], w->'receipt', $3::TIMESTAMPTZ
FROM (SELECT unnest($1::JSON::JSON[]) AS w, generate_subscripts($1::JSON::JSON[], 1) AS n)
