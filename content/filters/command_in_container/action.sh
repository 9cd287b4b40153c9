# `kubectl exec -it web-1 -- sh`, with a harmless program by the name of kubectl.
prepare() { stand_in kubectl; }
act() { kubectl exec -it web-1 -- sh; }
