BEGIN READ ONLY; SET LOCAL timezone TO 'UTC'; SET LOCAL datestyle TO 'ISO, YMD'; SET LOCAL extra_float_digits TO '2'; SET LOCAL query_group TO 'headwater'; SET LOCAL statement_timeout TO 900000
