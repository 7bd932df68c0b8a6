BEGIN; SET LOCAL timezone TO 'UTC'; SET LOCAL datestyle TO 'ISO, YMD'; SET LOCAL extra_float_digits TO '2'; SET LOCAL query_group TO 'headwater w_1 b__1 sync/crm run'; SET LOCAL statement_timeout TO 60000;
LOCK _headwater.writer;
SET LOCAL statement_timeout TO 900000
