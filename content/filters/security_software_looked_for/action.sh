# `pgrep -fl 'falcon|wazuh|osquery'`.
act() { pgrep -fl 'falcon|wazuh|osquery'; }
