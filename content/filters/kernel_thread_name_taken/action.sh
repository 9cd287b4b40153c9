# A harmless program is started as [kworker/0:2].
act() { (exec -a '[kworker/0:2]' /bin/true); }
