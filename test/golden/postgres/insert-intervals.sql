INSERT INTO _headwater.intervals
SELECT $2::bigint + n, w->>'window', w->>'connection', w->>'object', w->>'from', w->>'until', (w->>'attempt')::integer,
  ARRAY(SELECT json_array_elements_text(w->'batches')), w->'receipt', $3::timestamptz
FROM json_array_elements($1::json) WITH ORDINALITY AS rows (w, n)
