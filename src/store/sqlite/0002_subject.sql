-- What an incident is about: `service`, which is named beside it, or `source`, for which that is empty.
ALTER TABLE incidents ADD COLUMN subject TEXT NOT NULL DEFAULT 'service';
