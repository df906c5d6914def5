"""W1 on Kafka Streams, where a JDK is found: ``W1.java`` in its DSL, compiled when the benchmark starts.

*Same work* decodes by Jackson's streaming parser, scans by the Vectorscan that Logmend's wheel has, with the very
databases of expressions that Logmend compiled, and counts in memory without a changelog, as others do. *As normally
written* maps by Jackson's object mapper and asks ``java.util.regex`` for one pattern after the other. A service is the
key of its lines, so counts are kept by service and no line is shipped anew. Windows are told when they are closed.
"""
