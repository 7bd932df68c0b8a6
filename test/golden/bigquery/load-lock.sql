UPDATE `hw__headwater`.`lock_9c8d2f0004ad60c1fa85` SET `taken` = `taken` + 1 WHERE TRUE
