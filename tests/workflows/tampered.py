"""Changes by hand to `Recorder.everything()`, each with what the deep verification says of it."""

SPARED = "(SELECT l.score_id FROM score_log l WHERE l.log_id = 1 AND l.seq = 4)"
STANDING = "(SELECT l.score_id FROM score_log l WHERE l.log_id = 1 AND l.seq = 3)"
PERSONS = 20  # the place of the first person in the first log
MODELS = 26  # the place of the first transition in the first log, which registered the version in production
VERIFIED, APPROVED, ACKNOWLEDGED, PROMOTED = MODELS + 1, MODELS + 2, MODELS + 3, MODELS + 4
BY_SECOND = 36  # the place of the score by the version that was in production for a while
FIRST, SECOND = (f"(SELECT digest FROM model_version WHERE version = '{number}')" for number in ("1.0.0", "1.1.0"))
TRANSITIONS = 19
TAMPERED = {
    "an entry": ("UPDATE audit_entry SET entry = leaf_hash WHERE log_id = 1 AND seq = 7", "row 7"),
    "a leaf": ("UPDATE audit_entry SET leaf_hash = (SELECT root FROM audit_log WHERE log_id = 1) "
               "WHERE log_id = 1 AND seq = 7", "row 7"),
    "an entry gone": ("DELETE FROM audit_entry WHERE log_id = 1 AND seq = 7", "row 7"),
    "the tail gone": ("DELETE FROM audit_entry WHERE log_id = 2 AND seq >= 10", "row 10..18"),
    "a tile": ("UPDATE audit_tile SET root = (SELECT root FROM audit_log WHERE log_id = 1)", "256-range 0..255"),
    "a tile gone": ("DELETE FROM audit_tile", "256-range 0..255"),
    "the root": ("UPDATE audit_log SET root = (SELECT root FROM audit_tile) WHERE log_id = 2", "head"),
    "another log's note": ("UPDATE audit_log SET note = (SELECT note FROM audit_log WHERE log_id = 1) "
                           "WHERE log_id = 2", "head"),
    "an anchor's note": ("UPDATE audit_anchor SET note = 'x' WHERE log_id = 1 AND size = 1", "interval 0"),
    "an anchor's time": ("UPDATE audit_anchor SET recorded_at = '2026-11-23T05:51:19.123457Z' "
                         "WHERE log_id = 1 AND size = 1", "interval 0"),
    "an anchor of no log": ("UPDATE audit_anchor SET log_id = 9 WHERE log_id = 1", "audit_anchor has rows"),
    "sealed again": ("UPDATE audit_log SET state = 'sealed'", "state"),
    "the generation": ("UPDATE audit_log SET registry_generation = 3 WHERE log_id = 2", "audit_log"),
    "the sealed generation": ("UPDATE audit_log SET registry_generation = 2 WHERE log_id = 1", "audit_log"),
    "a value": (f"UPDATE score SET value = 0.30000000000000016 WHERE score_id = {SPARED}", "score 4"),
    "a value taken": (f"UPDATE score SET value = NULL, status = 'not_reportable' WHERE score_id = {SPARED}",
                      "status, value"),
    "a category": ("UPDATE score SET category = 'low' WHERE category IS NOT NULL", "category"),
    "a subject": (f"UPDATE score SET subject_id = 'S-7' WHERE score_id = {SPARED}", "subject_id"),
    "a specimen": (f"UPDATE score SET specimen_id = 'A-7' WHERE score_id = {SPARED}", "specimen_id"),
    "a time": (f"UPDATE score SET created_at = '2026-11-23T05:51:19.123457Z' WHERE score_id = {SPARED}", "created_at"),
    "an actor": (f"UPDATE score SET actor = 'system:cli' WHERE score_id = {SPARED}", "actor"),
    "a model": (f"UPDATE score SET model_name = 'other' WHERE score_id = {SPARED}", "model_name"),
    "an answer": (f"UPDATE score SET answer = request WHERE score_id = {SPARED}", "commits to: answer"),
    "a request and an answer": (f"UPDATE score SET request = answer, answer = request WHERE score_id = {SPARED}",
                                "request, answer"),
    "a salt": (f"UPDATE score SET salt = request WHERE score_id = {SPARED}", "score 4"),
    "a chain": ("UPDATE score SET supersedes = NULL WHERE supersedes IS NOT NULL", "supersedes"),
    "a chain made": (f"UPDATE score SET supersedes = 'x' WHERE score_id = {SPARED}", "supersedes"),
    "a place": (f"UPDATE score_log SET seq = 1 WHERE score_id = {SPARED}", "score_log 1"),
    "two places": ("UPDATE score_log SET seq = -1 WHERE log_id = 1 AND seq = 4; "
                   "UPDATE score_log SET seq = 4 WHERE log_id = 1 AND seq = 5; "
                   "UPDATE score_log SET seq = 5 WHERE seq = -1", "score 4"),
    "a place gone": (f"DELETE FROM score_log WHERE score_id = {SPARED}", "score 4: No score is stored"),
    "a place of another": ("UPDATE score_log SET score_id = 'x' WHERE log_id = 1 AND seq = 4", "score 4"),
    "a score gone": (f"DELETE FROM score WHERE score_id = {SPARED}", "score 4: The place"),
    "a score and its place gone": (f"DELETE FROM score WHERE score_id = {SPARED}; "
                                   "DELETE FROM score_log WHERE log_id = 1 AND seq = 4", "score 4: No score"),
    "a retraction gone": ("DELETE FROM score_retraction WHERE log_id = 1", "score_retraction"),
    "a retraction of another": (f"UPDATE score_retraction SET score_id = {STANDING} WHERE log_id = 1",
                                "score_retraction"),
    "a retraction made": (f"INSERT INTO score_retraction VALUES ({STANDING}, 1, 4)", "score_retraction 4"),
    "scopes": ("UPDATE api_key SET scopes = 'admin'", "api_key 1"),
    "scopes in another order": ("UPDATE api_key SET scopes = 'scores:write scores:read'", "api_key 1"),
    "a key's name": ("UPDATE api_key SET name = 'x'", "api_key 1"),
    "a key in force again": ("UPDATE api_key SET revoked_at = NULL", "api_key"),
    "a key revoked": ("UPDATE api_key SET revoked_at = created_at WHERE revoked_at IS NULL", "api_key"),
    "a key gone": ("DELETE FROM api_key WHERE revoked_at IS NULL", "api_key 1: The key of this entry"),
    "a key made": ("INSERT INTO api_key SELECT 'x', name, salt, scopes, api_key.created_at, NULL, development, NULL "
                   f"FROM api_key, score WHERE api_key.name = 'three' AND score_id = {SPARED}",
                   "api_key: A key is stored"),
    "a key given to a person": ("UPDATE api_key SET person_id = (SELECT person_id FROM person WHERE revoked_at IS NULL "
                                "AND name LIKE 'Z%') WHERE name = 'three'", "api_key 1: The stored key"),
    "a key given to another": ("UPDATE api_key SET person_id = (SELECT person_id FROM person WHERE name LIKE 'Ada%') "
                               "WHERE name = 'portal'", f"api_key {PERSONS + 3}: The stored key"),
    "a person's key taken away": ("UPDATE api_key SET person_id = NULL WHERE name = 'portal'",
                                  f"api_key {PERSONS + 3}: The stored key"),
    "a person's name": ("UPDATE person SET name = 'Ada King' WHERE name LIKE 'Ada%'", f"person {PERSONS + 5}: The"),
    "a passphrase of another": ("UPDATE person SET passphrase_hash = (SELECT passphrase_hash FROM person "
                                "WHERE name LIKE 'Ada%') WHERE name LIKE 'Z%'", f"person {PERSONS}: The"),
    "a salt of another": ("UPDATE person SET passphrase_salt = (SELECT passphrase_salt FROM person WHERE name LIKE "
                          "'Ada%') WHERE name LIKE 'Z%'", f"person {PERSONS}: The"),
    "a person in force again": ("UPDATE person SET revoked_at = NULL", "person 12: A person is stored as revoked"),
    "a person revoked": ("UPDATE person SET revoked_at = created_at WHERE name LIKE 'Z%'",
                         f"person {PERSONS}: A person is stored as revoked"),
    "a person's time": ("UPDATE person SET created_at = '2026-11-23T05:51:19.123457Z' WHERE name LIKE 'Z%'",
                        f"person {PERSONS}: The"),
    "a person gone": ("DELETE FROM person WHERE name LIKE 'Z%'", f"person {PERSONS}: The person of this entry"),
    "a person made": ("INSERT INTO person SELECT 'ffffffffffffffff', 'Eve', passphrase_salt, passphrase_hash, "
                      "created_at, NULL FROM person WHERE name LIKE 'Z%'", "person: A person is stored whom no entry"),
    "an alias moved": ("UPDATE model_alias SET version = '1.1.0' WHERE alias = 'production'",
                       "model_alias: An alias is stored as something else"),
    "an alias gone": ("DELETE FROM model_alias WHERE alias = 'canary'", "model_alias: An alias that was recorded is"),
    "an alias made": ("INSERT INTO model_alias VALUES ('pgd-klkb1-inotrope', 'shadow', '1.0.0')",
                      "model_alias: An alias is stored that no entry"),
    "an alias renamed": ("UPDATE model_alias SET alias = 'shadow' WHERE alias = 'canary'",
                         "model_alias: An alias is stored that no entry"),
    "a retired version approved": ("UPDATE model_version SET state = 'approved' WHERE state = 'retired'",
                                   "model_version: A version is stored as something else"),
    "a rejected version approved": ("UPDATE model_version SET state = 'approved' WHERE version = '1.3.0'",
                                    "model_version: A version is stored as something else"),
    "a version set back": ("UPDATE model_version SET state = 'verified' WHERE version = '1.0.0'",
                           "model_version: A version is stored as something else"),
    "a version made": ("INSERT INTO model_version SELECT name, '9.0.0', digest, signature_digest, state "
                       "FROM model_version WHERE version = '1.0.0'", "A version is stored that no entry"),
    "a version gone": ("DELETE FROM model_version WHERE version = '1.2.0'",
                       "model_version: A version that was recorded is not"),
    "a version renamed": ("UPDATE model_version SET version = '1.2.1' WHERE version = '1.2.0'",
                          "model_version: A version is stored that no entry"),
    "a model renamed": ("UPDATE model_version SET name = 'other' WHERE version = '1.2.0'",
                        "model_version: A version is stored that no entry"),
    "another version's content": (f"UPDATE model_version SET digest = {SECOND} WHERE version = '1.0.0'",
                                  "model_version: A version is stored as something else"),
    "a signature taken away": ("UPDATE model_version SET signature_digest = NULL WHERE version = '1.0.0'",
                               "model_version: A version is stored as something else"),
    "a signature given": ("UPDATE model_version SET signature_digest = (SELECT signature_digest FROM model_version "
                          "WHERE version = '1.0.0') WHERE version = '1.1.0'",
                          "model_version: A version is stored as something else"),
    "an approval gone": (f"DELETE FROM model_transition WHERE log_id = 1 AND seq = {APPROVED}",
                         f"model_transition {APPROVED}: The transition of this entry is not stored"),
    "a registration gone": (f"DELETE FROM model_transition WHERE log_id = 1 AND seq = {MODELS}",
                            f"model_transition {VERIFIED}: The transition does not begin where"),
    "every transition gone": ("DELETE FROM model_transition", f"model_transition {PROMOTED}: The transition of this"),
    "an approval without which a score was made": (
        "DELETE FROM model_transition WHERE version = '1.1.0' AND log_id = 1 AND seq = 33",
        f"model_version {BY_SECOND}: The score was made by a version that was not in force"),
    "a transition made": ("INSERT INTO model_transition SELECT '00000000-0000-7000-8000-000000000000', name, version, "
                          "1, 3, statement, salt FROM model_transition WHERE log_id = 1 AND seq = 28",
                          "model_transition 3: A row names an entry that did not record it"),
    "a transition elsewhere": ("UPDATE model_transition SET log_id = 2, seq = 3 WHERE log_id = 1 AND seq = 28",
                               f"model_transition {APPROVED}: The transition of this entry is not stored"),
    "two transitions' places": (f"UPDATE model_transition SET seq = -1 WHERE log_id = 1 AND seq = {MODELS}; "
                                f"UPDATE model_transition SET seq = {MODELS} WHERE log_id = 1 AND seq = {VERIFIED}; "
                                f"UPDATE model_transition SET seq = {VERIFIED} WHERE log_id = 1 AND seq = -1",
                                f"model_transition {MODELS}: The stored transition is not the one"),
    "a transition's version": (f"UPDATE model_transition SET version = '1.2.0' WHERE log_id = 1 AND seq = {APPROVED}",
                               f"model_transition {APPROVED}: The stored transition is not the one"),
    "a transition's model": (f"UPDATE model_transition SET name = 'other' WHERE log_id = 1 AND seq = {APPROVED}",
                             f"model_transition {APPROVED}: The stored transition is not the one"),
    "a transition's id": ("UPDATE model_transition SET transition_id = '00000000-0000-7000-8000-000000000000' "
                          f"WHERE log_id = 1 AND seq = {APPROVED}",
                          f"model_transition {APPROVED}: The stored transition is not the one"),
    "another's statement": (f"UPDATE model_transition SET statement = (SELECT statement FROM model_transition "
                            f"WHERE log_id = 1 AND seq = {PROMOTED}) WHERE log_id = 1 AND seq = {APPROVED}",
                            f"model_transition {APPROVED}: The stored transition is not the one"),
    "another's salt": (f"UPDATE model_transition SET salt = (SELECT salt FROM model_transition WHERE log_id = 1 AND "
                       f"seq = {PROMOTED}) WHERE log_id = 1 AND seq = {APPROVED}",
                       f"model_transition {APPROVED}: The stored transition is not the one"),
    "an acknowledgement gone": (f"DELETE FROM model_acknowledgement WHERE log_id = 1 AND seq = {ACKNOWLEDGED}",
                                f"model_acknowledgement {ACKNOWLEDGED}: The acknowledgement of this entry is not"),
    "an acknowledgement gone that a promotion rests on": (
        f"DELETE FROM model_acknowledgement WHERE log_id = 1 AND seq = {ACKNOWLEDGED}",
        f"model_transition {PROMOTED}: A version was promoted with a warning that nobody"),
    "every acknowledgement gone": ("DELETE FROM model_acknowledgement", f"model_transition {PROMOTED}: A version was"),
    "an acknowledgement made": ("INSERT INTO model_acknowledgement SELECT '00000000-0000-7000-8000-000000000000', "
                                "name, version, 1, 3, statement, salt FROM model_acknowledgement WHERE log_id = 1 AND "
                                f"seq = {ACKNOWLEDGED}",
                                "model_acknowledgement 3: A row names an entry that did not record it"),
    "an acknowledgement made of a transition": (
        "INSERT INTO model_acknowledgement SELECT * FROM model_transition "
        f"WHERE log_id = 1 AND seq = {APPROVED}", f"model_acknowledgement {APPROVED}: A row names an entry"),
    "an acknowledgement elsewhere": ("UPDATE model_acknowledgement SET log_id = 2, seq = 3 WHERE log_id = 1 AND "
                                     f"seq = {ACKNOWLEDGED}", f"model_acknowledgement {ACKNOWLEDGED}: The "),
    "an acknowledgement's version": ("UPDATE model_acknowledgement SET version = '1.2.0' WHERE log_id = 1 AND "
                                     f"seq = {ACKNOWLEDGED}", f"model_acknowledgement {ACKNOWLEDGED}: The stored"),
    "an acknowledgement's model": ("UPDATE model_acknowledgement SET name = 'other' WHERE log_id = 1 AND "
                                   f"seq = {ACKNOWLEDGED}", f"model_acknowledgement {ACKNOWLEDGED}: The stored"),
    "an acknowledgement's id": ("UPDATE model_acknowledgement SET acknowledgement_id = "
                                f"'00000000-0000-7000-8000-000000000000' WHERE log_id = 1 AND seq = {ACKNOWLEDGED}",
                                f"model_acknowledgement {ACKNOWLEDGED}: The stored"),
    "an acknowledgement of other codes": ("UPDATE model_acknowledgement SET statement = (SELECT statement FROM "
                                          "model_acknowledgement WHERE log_id = 2) WHERE log_id = 1 AND "
                                          f"seq = {ACKNOWLEDGED}",
                                          f"model_acknowledgement {ACKNOWLEDGED}: The stored"),
    "an acknowledgement's salt": ("UPDATE model_acknowledgement SET salt = (SELECT salt FROM model_acknowledgement "
                                  f"WHERE log_id = 2) WHERE log_id = 1 AND seq = {ACKNOWLEDGED}",
                                  f"model_acknowledgement {ACKNOWLEDGED}: The stored"),
    "a manifest altered": (f"UPDATE artifact_part SET content = (SELECT statement FROM model_transition WHERE log_id = "
                           f"1 AND seq = {MODELS}) WHERE digest = {FIRST}", "artifact_part: The bytes of 1 files"),
    "a manifest gone": (f"DELETE FROM artifact_part WHERE digest = {FIRST}", "artifact_part: The bytes of 1 files"),
    "a manifest of another": (f"UPDATE artifact_part SET content = (SELECT content FROM artifact_part WHERE digest = "
                              f"{SECOND}) WHERE digest = {FIRST}", "artifact_part: The bytes of 1 files"),
    "a part in another's place": (f"UPDATE artifact_part SET part = 1 WHERE digest = {FIRST}",
                                  "artifact_part: The bytes of 1 files"),
    "a part too many": (f"INSERT INTO artifact_part SELECT digest, 1, content FROM artifact_part "
                        f"WHERE digest = {SECOND}", "artifact_part: The bytes of 1 files"),
    "every byte gone": ("DELETE FROM artifact_part", "artifact_part: The bytes of 7 files"),
}  # fmt: skip
