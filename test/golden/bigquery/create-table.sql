CREATE TABLE IF NOT EXISTS `hw_crm`.`contact` (
  `id` STRING,
  `stamp` TIMESTAMP,
  `deleted` BOOL,
  `name` STRING,
  `a_boolean` BOOL,
  `a_integer` INT64,
  `a_double` FLOAT64,
  `a_date` DATE,
  `a_time` TIME,
  `a_timestamp` TIMESTAMP,
  `a_json` JSON,
  `a_decimal` NUMERIC(18,2),
  `exact` BIGNUMERIC(38,10),
  `owner_it_s_994536e6` STRING,
  `größe` STRING,
  _deleted BOOL,
  _version TIMESTAMP,
  _confirmed_at TIMESTAMP,
  _hash INT64,
  _window STRING,
  _loaded_at TIMESTAMP
)
PARTITION BY DATE_TRUNC(`a_date`, MONTH)
CLUSTER BY `id`
OPTIONS (labels = [('app', 'headwater'), ('connection', 'crm')])
