-- The events that detection is told again when history is read anew, by their places in the log.
CREATE TABLE directives (
    seq INTEGER NOT NULL PRIMARY KEY
) STRICT;
