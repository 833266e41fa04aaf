"""The log as a Kafka topic: `log` is the port, `topics` makes and checks the topic, `sharing` shares the partitions.

Inside: `producing` (appends, acknowledged by all replicas), `reading` (from positions that the caller gives, never a
group's), `connection` (opening, closing, what a failing broker looks like to the rest), `assigning` (who gets which
partition).
"""
