SET timezone TO 'UTC';
SET datestyle TO 'ISO, YMD';
SET extra_float_digits TO '2'
