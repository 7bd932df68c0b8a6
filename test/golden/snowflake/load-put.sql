PUT 'file:///tmp/it\'s/rows.parquet' @_HEADWATER.LOADS/headwater/1 AUTO_COMPRESS = FALSE
