-- An invitation by address means nobody who is known. Until now it held whoever had the address when it was made.
UPDATE invites SET user_id = NULL WHERE login_email IS NOT NULL AND accepted IS NULL AND declined IS NULL;
