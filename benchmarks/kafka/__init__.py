"""The whole service on a real Kafka and a real Valkey, each role in a process of its own, so that its CPU is its own.

`machine` the servers · `loading` fills topics · `inside`, `children` the processes and how they are spoken to ·
`floor`, `service`, `bare`, `traffic` what these do · `guard` whether the output is complete · `parts` what is measured.
"""
