IF (SELECT COUNT(*) FROM hw_rows_1) <> 3 THEN RAISE USING MESSAGE = 'headwater: repeated'; END IF
