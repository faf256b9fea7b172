/*
 * test_ddl.c - statements, and what is known of a table after them.  No server:
 * t/live/65-ddl-followed.t and 66-ddl-mysql.t say that servers agree.
 */
#include "unit.h"

#include "base/arena.h"
#include "base/str.h"
#include "schema/ddl.h"

/* ---- What is known */

enum { KEPT = 256 };

static struct arena arena, work;
static struct {
    struct weir_str          schema, name;
    const struct definition *def;
} kept[KEPT];
static size_t nkept;
static struct ddl_session session;
static const char *why;

static const struct definition *
lookup(void *arg, struct weir_str schema, struct weir_str name)
{
    (void)arg;
    for (size_t i = nkept; i-- > 0;) {
        if (str_eq(kept[i].schema, schema) && str_eq(kept[i].name, name)) {
            return kept[i].def;
        }
    }
    return NULL;
}

static void
keep(const struct ddl_change *c)
{
    for (size_t i = 0; i < nkept && c->whole_schema; i++) {
        if (str_eq(kept[i].schema, c->schema)) {
            kept[i].def = NULL;
        }
    }
    assert_true(nkept < KEPT);
    kept[nkept].schema = arena_str(&arena, c->schema);
    kept[nkept].name = arena_str(&arena, c->name);
    kept[nkept++].def = c->def ? definition_copy(&arena, c->def) : NULL;
}

static void
run(const char *sql)
{
    struct statement   s;
    struct ddl_changes changes = { 0 };

    arena_reset(&work);
    why = NULL;
    statement_parse(&work, str_of(sql), session.schema, session.sql_mode, &s);
    if (s.kind == STATEMENT_TABLE || s.kind == STATEMENT_DATABASE) {
        ddl_follow(&work, &session, str_of(sql), &s, lookup, NULL, &changes);
    }
    for (size_t i = 0; i < changes.n; i++) {
        keep(&changes.items[i]);
    }
    if (changes.why) {
        why = arena_strdup(&arena, changes.why);
    }
}

/* "a int(11)!, b text:latin1_swedish_ci [a]": ! is NOT NULL, G generated, I
 * invisible; the key in brackets.  "-": nothing known. */
static const char *
say(const char *schema, const char *name)
{
    const struct definition *def = lookup(NULL, str_of(schema), str_of(name));
    char *out = arena_strdup(&arena, "");

    if (!def) {
        return "-";
    }
    for (uint32_t i = 0; i < def->ncolumns; i++) {
        const struct definition_column *c = &def->columns[i];
        out = arena_printf(&arena, "%s%s%.*s %.*s%s%.*s%s%s%s", out,
                           i ? ", " : "", STR_ARG(c->name),
                           STR_ARG(c->sql_type), c->collation.len ? ":" : "",
                           STR_ARG(c->collation),
                           c->facets & WEIR_NOT_NULL ? "!" : "",
                           c->facets & WEIR_GENERATED ? "G" : "",
                           c->facets & WEIR_INVISIBLE ? "I" : "");
    }
    for (uint32_t i = 0; i < def->nkey; i++) {
        out = arena_printf(&arena, "%s%s%.*s%s", out, i ? "," : " [",
                           STR_ARG(def->columns[def->key[i]].name),
                           i + 1 == def->nkey ? "]" : "");
    }
    return out;
}

static void
begin(enum binlog_flavour flavour, unsigned version)
{
    arena_reset(&arena);
    nkept = 0;
    session = (struct ddl_session){ .flavour = flavour,
                                    .version = version,
                                    .schema = STR("d"),
                                    .server_collation =
                                        STR("latin1_swedish_ci") };
    run("CREATE DATABASE d");
    assert_null(why);
}

static void
mariadb(void)
{
    begin(FLAVOUR_MARIADB, 101106);
}

static void
mysql(void)
{
    begin(FLAVOUR_MYSQL, 80400);
}

/* ---- One statement behind another, on table t */

struct step {
    const char *sql, *want; /* of t; "?...": not understood, for a reason that
                               has these words in it, and t unknown */
};

static void
take(const struct step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        run(steps[i].sql);
        const char *have = say("d", "t");
        const bool  fails = steps[i].want[0] == '?';
        if (fails ? !why || !strstr(why, steps[i].want + 1) ||
                        strcmp(have, "-") != 0
                  : why || strcmp(have, steps[i].want) != 0) {
            fail_msg("%s\n  want: %s\n  have: %s\n  why: %s", steps[i].sql,
                     steps[i].want, have, why ? why : "(understood)");
        }
    }
}

#define TAKE(...) do {                                                     \
    static const struct step steps[] = { __VA_ARGS__ };                    \
    take(steps, sizeof steps / sizeof *steps);                             \
} while (0)

/* Each on a t of its own. */
static void
each(const char *create, const struct step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        run("DROP TABLE IF EXISTS t");
        if (create[0]) {
            run(create);
            assert_null(why);
        }
        take(&steps[i], 1);
    }
}

#define EACH(create, ...) do {                                             \
    static const struct step steps[] = { __VA_ARGS__ };                    \
    each(create, steps, sizeof steps / sizeof *steps);                     \
} while (0)

static void
types_of_mariadb(void **state)
{
    (void)state;
    mariadb();
    EACH("",
         { "CREATE TABLE t (a INT, b BIGINT UNSIGNED, c TINYINT(1) ZEROFILL)",
           "a int(11), b bigint(20) unsigned, c tinyint(1) unsigned zerofill" },
         { "CREATE TABLE t (a BOOL, b SERIAL, c DEC, d REAL)",
           "a tinyint(1), b bigint(20) unsigned!, c decimal(10,0), d double "
           "[b]" },
         { "CREATE TABLE t (a TEXT(300), b VARCHAR(9) BINARY, c NCHAR(3))",
           "a text:latin1_swedish_ci, b varchar(9):latin1_bin, "
           "c char(3):utf8mb3_general_ci" },
         { "CREATE TABLE t (a VARCHAR(9), b TEXT CHARSET binary) CHARSET utf8",
           "a varchar(9):utf8mb3_general_ci, b blob" },
         { "CREATE TABLE t (a JSON, b UUID, c TIME(3), d YEAR)",
           "a json:utf8mb4_bin, b uuid, c time(3), d year(4)" },
         { "CREATE TABLE t (a INT AS (1) VIRTUAL, b INT INVISIBLE)",
           "a int(11)G, b int(11)I" },
         { "CREATE TABLE t (a ENUM('x','y''z') NOT NULL, UNIQUE (a))",
           "a enum('x','y''z'):latin1_swedish_ci! [a]" },
         { "CREATE TABLE t (a VARCHAR(70000))", "?length" },
         { "CREATE TABLE t (a FROB)", "?type" });
}

static void
types_of_mysql(void **state)
{
    (void)state;
    mysql();
    EACH("",
         { "CREATE TABLE t (a INT(9), b BIGINT UNSIGNED, c TINYINT(1))",
           "a int, b bigint unsigned, c tinyint(1)" },
         { "CREATE TABLE t (a VARCHAR(9), b TEXT) CHARSET utf8mb4",
           "a varchar(9):utf8mb4_0900_ai_ci, b text:utf8mb4_0900_ai_ci" },
         { "CREATE TABLE t (a JSON, b YEAR, c VECTOR, d VECTOR(3))",
           "a json, b year, c vector(2048), d vector(3)" },
         { "CREATE TABLE t (a INT, PRIMARY KEY ((a + 1)))", "a int" },
         { "CREATE TABLE t (a INT NOT NULL, UNIQUE ((a + 1)), UNIQUE (a))",
           "?index" },
         { "CREATE TABLE t (a INT NOT NULL, UNIQUE f ((a + 1)), UNIQUE (a))",
           "a int! [a]" },
         { "CREATE TABLE t (id INT, b INT AS (id) STORED, c INT "
           "/*!80023 INVISIBLE */, KEY (b)) /*!50100 PARTITION BY HASH (id) */",
           "id int, b intG, c intI" },
         { "CREATE TABLE t (a INT) START TRANSACTION", "a int" },
         { "CREATE TABLE t (`my_row_id` bigint unsigned NOT NULL "
           "AUTO_INCREMENT /*!80023 INVISIBLE */, a INT, "
           "PRIMARY KEY (`my_row_id`))",
           "my_row_id bigint unsigned!I, a int [my_row_id]" },
         { "CREATE TABLE IF NOT EXISTS t (a INT)", "?IF NOT EXISTS" });
}

static void
alters(void **state)
{
    (void)state;
    mariadb();
    TAKE(
        { "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT UNSIGNED)",
          "id int(11)!, a int(11), b int(10) unsigned [id]" },
        { "ALTER TABLE t ADD c INT FIRST, ADD d INT AFTER id",
          "c int(11), id int(11)!, d int(11), a int(11), "
          "b int(10) unsigned [id]" },
        { "ALTER TABLE t DROP c, DROP COLUMN d, MODIFY b INT",
          "id int(11)!, a int(11), b int(11) [id]" },
        { "ALTER TABLE t CHANGE a b INT, CHANGE b a INT",
          "id int(11)!, b int(11), a int(11) [id]" },
        { "ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a",
          "id int(11)!, a int(11), b int(11) [id]" },
        { "ALTER TABLE t CHANGE id `n-o` BIGINT NOT NULL AFTER b",
          "a int(11), b int(11), n-o bigint(20)! [n-o]" },
        { "ALTER TABLE t ADD COLUMN IF NOT EXISTS a TEXT, "
          "DROP COLUMN IF EXISTS z, MODIFY COLUMN IF EXISTS y INT",
          "a int(11), b int(11), n-o bigint(20)! [n-o]" },
        { "ALTER TABLE t RENAME TO u, ADD z INT", "-" });
    assert_string_equal(say("d", "u"), "a int(11), b int(11), "
                        "n-o bigint(20)!, z int(11) [n-o]");
}

static void
alters_that_end_it(void **state)
{
    (void)state;
    mariadb();
    EACH("CREATE TABLE t (id INT PRIMARY KEY, a INT)",
         { "ALTER TABLE t ADD a INT", "?there already" },
         { "ALTER TABLE t DROP z", "?not there" },
         { "ALTER TABLE t DROP a, DROP a", "?not there" },
         { "ALTER TABLE t DROP a, MODIFY a INT FIRST", "?not there" },
         { "ALTER TABLE t DROP a, RENAME COLUMN a TO b", "?not there" },
         { "ALTER TABLE t MODIFY a INT FIRST, MODIFY a INT FIRST", "?twice" },
         { "ALTER TABLE t MODIFY a INT FIRST, DROP a", "?twice" },
         { "ALTER TABLE t CHANGE a b INT FIRST, DROP a", "?twice" },
         { "ALTER TABLE t ADD b INT AFTER z", "?AFTER" },
         { "ALTER TABLE t FROB", "?option" },
         { "ALTER TABLE t ADD SYSTEM VERSIONING", "?versioning" },
         { "ALTER TABLE t ADD b INT COMMENT 'x", "?quote" },
         { "ALTER TABLE t ORDER BY id, ADD COLUMN b INT", "?ORDER" },
         { "CREATE TABLE t LIKE nowhere", "?LIKE" });
    EACH("CREATE TABLE t (id INT PRIMARY KEY, a INT)",
         { "ALTER TABLE t DROP COLUMN IF EXISTS a, DROP COLUMN IF EXISTS a",
           "id int(11)! [id]" },
         { "ALTER TABLE t ORDER BY a DESC, id",
           "id int(11)!, a int(11) [id]" },
         { "ALTER TABLE t WAIT 5 ADD b INT, ALGORITHM=INSTANT, LOCK=NONE",
           "id int(11)!, a int(11), b int(11) [id]" });
}

/* The server compares names without case and accents. */
static void
names_out_of_ascii(void **state)
{
    (void)state;
    mariadb();
    EACH("CREATE TABLE t (a INT, `\303\211` INT)",
         { "ALTER TABLE t DROP COLUMN IF EXISTS `\303\251`", "?ASCII" },
         { "ALTER TABLE t DROP COLUMN IF EXISTS e", "?ASCII" },
         { "ALTER TABLE t MODIFY COLUMN IF EXISTS `\303\251` INT FIRST",
           "?ASCII" },
         { "ALTER TABLE t CHANGE IF EXISTS `\303\251` b INT", "?ASCII" },
         { "ALTER TABLE t RENAME COLUMN IF EXISTS `\303\251` TO b", "?ASCII" },
         { "ALTER TABLE t ADD COLUMN IF NOT EXISTS `\303\251` INT", "?ASCII" },
         { "ALTER TABLE t DROP COLUMN IF EXISTS `\303\211`", "a int(11)" },
         { "ALTER TABLE t DROP COLUMN `\303\251`", "?not there" });
}

static void
comments_of_mariadb(void **state)
{
    (void)state;
    mariadb();
    TAKE({ "CREATE TABLE t (a INT /*M! , b INT */, c INT /*M!100100 , d INT */)",
           "a int(11), b int(11), c int(11), d int(11)" });
    mysql();
    TAKE({ "CREATE TABLE t (a INT /*M! , b INT */, c INT /*M!100100 , d INT */)",
           "a int, c int" },
         { "ALTER TABLE t CHANGE a b INT /*M! FIRST */ /*!80000 AFTER c */",
           "c int, b int" });
}

static void
created_otherwise(void **state)
{
    (void)state;
    mariadb();
    EACH("",
         { "CREATE TABLE t AS SELECT 1 AS a", "?columns" },
         { "CREATE TABLE t (a INT) AS SELECT 1 AS b", "?option" },
         { "CREATE TABLE t (a INT) IGNORE SELECT 1 AS b", "?option" },
         { "CREATE TABLE t (a INT) PARTITION BY HASH (a) SELECT 1 AS b",
           "?SELECT" },
         { "CREATE TABLE t (a INT) PARTITION BY HASH (a) TABLE u", "?SELECT" },
         { "CREATE TABLE t (a INT) PARTITION BY RANGE (a) "
           "(PARTITION p VALUES LESS THAN (5))", "a int(11)" },
         { "CREATE TABLE t ENGINE=CONNECT TABLE_TYPE=CSV", "?columns" },
         { "CREATE TABLE t (a INT) SEQUENCE=1", "?option" },
         { "CREATE TABLE t (a INT) WITH SYSTEM VERSIONING", "?option" });
    TAKE({ "CREATE TABLE t (a INT)", "a int(11)" },
         { "CREATE TABLE IF NOT EXISTS t (b INT)", "a int(11)" },
         { "CREATE OR REPLACE TABLE t (b INT)", "b int(11)" },
         { "CREATE TABLE t2 LIKE t", "b int(11)" },
         { "DROP TABLE t", "-" },
         { "CREATE TABLE t (LIKE t2)", "b int(11)" },
         { "DROP DATABASE d", "-" });
    assert_string_equal(say("d", "t2"), "-");
}

static void
renames(void **state)
{
    (void)state;
    mariadb();
    run("CREATE TABLE a (a INT)");
    run("CREATE TABLE b (b INT)");
    run("CREATE TABLE c (c INT)");
    run("CREATE DATABASE e");
    run("RENAME TABLE a TO tmp, b TO a, c TO b, tmp TO c");
    assert_null(why);
    assert_string_equal(say("d", "a"), "b int(11)");
    assert_string_equal(say("d", "b"), "c int(11)");
    assert_string_equal(say("d", "c"), "a int(11)");
    assert_string_equal(say("d", "tmp"), "-");
    run("RENAME TABLE d.a TO e.x, nowhere TO a");
    assert_string_equal(say("e", "x"), "b int(11)");
    assert_string_equal(say("d", "a"), "-");
    run("ALTER TABLE b RENAME = e.y");
    assert_null(why);
    assert_string_equal(say("e", "y"), "c int(11)");
    assert_string_equal(say("d", "b"), "-");
}

static void
charsets(void **state)
{
    (void)state;
    mariadb();
    TAKE({ "CREATE TABLE t (a VARCHAR(9), b TEXT)",
           "a varchar(9):latin1_swedish_ci, b text:latin1_swedish_ci" },
         { "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4",
           "a varchar(9):utf8mb4_general_ci, b mediumtext:utf8mb4_general_ci" },
         { "ALTER TABLE t ADD c CHAR(3), DEFAULT CHARSET latin2",
           "a varchar(9):utf8mb4_general_ci, b mediumtext:utf8mb4_general_ci, "
           "c char(3):latin2_general_ci" },
         { "ALTER DATABASE d COLLATE utf8mb4_bin",
           "a varchar(9):utf8mb4_general_ci, b mediumtext:utf8mb4_general_ci, "
           "c char(3):latin2_general_ci" },
         { "CREATE OR REPLACE TABLE t (a CHAR(1))", "a char(1):utf8mb4_bin" },
         { "ALTER TABLE t CHARSET utf8mb4, CONVERT TO CHARACTER SET latin1",
           "?CONVERT" },
         { "CREATE TABLE t (a CHAR(1))", "a char(1):utf8mb4_bin" },
         { "ALTER TABLE t CONVERT TO CHARACTER SET latin1, CONVERT TO "
           "CHARACTER SET utf8mb4", "?CONVERT" },
         { "CREATE TABLE t (a CHAR(1))", "a char(1):utf8mb4_bin" },
         { "ALTER TABLE t CONVERT TO CHARACTER SET binary", "?CONVERT" },
         { "CREATE TABLE t (a TEXT COMPRESSED CHARSET latin1)",
           "a text /*M!100301 COMPRESSED*/:latin1_swedish_ci" },
         { "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4",
           "a mediumtext /*M!100301 COMPRESSED*/:utf8mb4_general_ci" },
         { "CREATE OR REPLACE TABLE t (a CHAR(1) CHARSET klingon)",
           "?charset" });
    run("CREATE TABLE nowhere.t (a TEXT, b CHAR(3))");
    assert_non_null(why);
}

static void
modes(void **state)
{
    (void)state;
    mariadb();
    session.sql_mode = SQL_MODE_ANSI_QUOTES;
    TAKE({ "CREATE TABLE \"t\" (\"a b\" INT DEFAULT 1)", "a b int(11)" });
    session.sql_mode = SQL_MODE_NO_BACKSLASH_ESCAPES;
    TAKE({ "ALTER TABLE t ADD b INT COMMENT '\\', ADD c INT",
           "a b int(11), b int(11), c int(11)" });
    session.sql_mode = 512; /* ORACLE: DATE is a DATETIME, BLOB a LONGBLOB */
    TAKE({ "ALTER TABLE t ADD d DATE", "?sql_mode" });
    session.sql_mode = 0;
    TAKE({ "CREATE TABLE t (a TIMESTAMP, b INT NOT NULL)",
           "a timestamp, b int(11)!" });
    session.sql_mode = 4096; /* MAXDB: TIMESTAMP is a DATETIME */
    TAKE({ "CREATE OR REPLACE TABLE t (a TIMESTAMP)", "?sql_mode" });
}

static void
comments(void **state)
{
    (void)state;
    mariadb();
    EACH("",
         { "CREATE TABLE t (a INT /*! , b INT */ /*!50000 , c INT*/ "
           "/*M!100100 , d INT */ /* 99999 , e INT */)",
           "a int(11), b int(11), c int(11), d int(11)" },
         { "/*!40000 CREATE*/ TABLE t (a INT) -- b\n # c\n/* d */",
           "a int(11)" },
         { "CREATE TABLE t (a INT, b INT /*!1 + 2 */)", "?column" },
         { "CREATE TABLE /*!32312 IF NOT EXISTS*/ t (a INT);", "a int(11)" },
         { "CREATE TABLE t (a INT /*!500001 INVISIBLE*/)", "a int(11)I" },
         { "CREATE TABLE t (a INT /* never closed)", "?" });
}

static void
prefixed(void **state)
{
    (void)state;
    mariadb();
    TAKE({ "SET STATEMENT max_statement_time=0, lock_wait_timeout = 5 FOR "
           "CREATE TABLE t (a INT)", "a int(11)" },
         { "SET STATEMENT alter_algorithm='INSTANT' FOR ALTER TABLE t "
           "ADD b INT", "a int(11), b int(11)" },
         { "SET STATEMENT collation_connection=utf8mb4_bin FOR ALTER TABLE t "
           "ADD c TEXT", "?SET STATEMENT" });
    run("SET STATEMENT sql_mode='ANSI_QUOTES' FOR ALTER TABLE t ADD d INT");
    assert_non_null(why);
}

static void
periods(void **state)
{
    (void)state;
    mariadb();
    EACH("",
         { "CREATE TABLE t (id INT, a DATE, b DATE, PERIOD FOR p (a, b), "
           "UNIQUE (a, b))", "id int(11), a date!, b date! [a,b]" },
         { "CREATE TABLE t (id INT PRIMARY KEY, a DATE, b DATE, "
           "PERIOD FOR p (a, b), UNIQUE (id, p WITHOUT OVERLAPS))", "?index" },
         { "CREATE TABLE t (x INT, a TIMESTAMP(6) GENERATED ALWAYS AS ROW "
           "START, b TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR "
           "SYSTEM_TIME (a, b)) WITH SYSTEM VERSIONING", "?parenthesis" });
    EACH("CREATE TABLE t (id INT, a DATE, b DATE, UNIQUE (a, b))",
         { "ALTER TABLE t ADD PERIOD FOR p (a, b)",
           "id int(11), a date!, b date! [a,b]" },
         { "ALTER TABLE t ADD PERIOD FOR p (a, z)", "?PERIOD" },
         { "ALTER TABLE t ADD PERIOD FOR SYSTEM_TIME (a, b)", "?versioning" },
         { "ALTER TABLE t DROP PERIOD FOR p", "id int(11), a date, b date" });
}

static void
partitions(void **state)
{
    (void)state;
    mariadb();
#define SAME "a int(11)! [a]"
    TAKE({ "CREATE TABLE t (a INT PRIMARY KEY) PARTITION BY HASH (a)", SAME },
         { "ALTER TABLE t ADD PARTITION (PARTITION p VALUES IN (1))", SAME },
         { "ALTER TABLE t DROP PARTITION p", SAME },
         { "ALTER TABLE t TRUNCATE PARTITION ALL", SAME },
         { "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u", SAME },
         { "ALTER TABLE t COALESCE PARTITION 2", SAME },
         { "ALTER TABLE t REORGANIZE PARTITION p INTO (PARTITION q VALUES "
           "LESS THAN MAXVALUE)", SAME },
         { "ALTER TABLE t REMOVE PARTITIONING", SAME },
         { "ALTER TABLE t DISCARD TABLESPACE", SAME },
         { "ALTER TABLE t CONVERT PARTITION p TO TABLE v", "?CONVERT" });
}

/* With an error code: how much of it was done is not known. */
static void
failed(void **state)
{
    (void)state;
    mariadb();
    run("CREATE TABLE t (a INT)");
    session.error = 1317;
    TAKE({ "ALTER TABLE t ADD b INT", "?failed" });
    session.error = 0;
    run("CREATE TABLE t (a INT)");
    session.error = 1317;
    TAKE({ "DROP DATABASE d", "?failed" });
}

/* As gh-ost 1.1 and pt-online-schema-change 3.5 send them. */
static void
tools(void **state)
{
    (void)state;
    mysql();
    run("CREATE TABLE t (id INT NOT NULL, a INT, PRIMARY KEY (id))");
    run("drop /* gh-ost */ table if exists `d`.`_t_gho`");
    run("create /* gh-ost */ table `d`.`_t_gho` like `d`.`t`");
    run("alter /* gh-ost */ table `d`.`_t_gho` add b int");
    run("create /* gh-ost */ table `d`.`_t_ghc` (\n\t\t\tid bigint unsigned "
        "auto_increment,\n\t\t\tlast_update timestamp not null DEFAULT "
        "CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,\n\t\t\thint "
        "varchar(64) charset ascii not null,\n\t\t\tvalue varchar(4096) "
        "charset ascii not null,\n\t\t\tprimary key(id),\n\t\t\tunique key "
        "hint_uidx(hint)\n\t\t) auto_increment=256 comment='gh-ost-changelog'");
    assert_null(why);
    assert_string_equal(say("d", "_t_ghc"),
                        "id bigint unsigned!, last_update timestamp!, "
                        "hint varchar(64):ascii_general_ci!, "
                        "value varchar(4096):ascii_general_ci! [id]");
    run("create /* gh-ost */ table `d`.`_t_del` (\n\t\t\tid int auto_increment "
        "primary key\n\t\t) engine=InnoDB comment='ghost-cut-over-sentry'");
    run("drop /* gh-ost */ table `d`.`_t_del`");
    TAKE({ "rename /* gh-ost */ table `d`.`t` to `d`.`_t_del`, `d`.`_t_gho` "
           "to `d`.`t`", "id int!, a int, b int [id]" });
    assert_string_equal(say("d", "_t_del"), "id int!, a int [id]");
    run("CREATE TABLE `d`.`_t_new` (\n  `id` int NOT NULL,\n  `a` int DEFAULT "
        "NULL,\n  `b` int DEFAULT NULL,\n  PRIMARY KEY (`id`)\n) "
        "ENGINE=InnoDB DEFAULT CHARSET=latin1");
    run("ALTER TABLE `d`.`_t_new` DROP a, ADD c int");
    TAKE({ "RENAME TABLE `d`.`t` TO `d`.`_t_old`, `d`.`_t_new` TO `d`.`t`",
           "id int!, b int, c int [id]" });
    run("DROP TABLE IF EXISTS `d`.`_t_old`");
    assert_string_equal(say("d", "_t_old"), "-");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_of_mariadb), cmocka_unit_test(types_of_mysql),
        cmocka_unit_test(alters),
        cmocka_unit_test(alters_that_end_it),
        cmocka_unit_test(names_out_of_ascii),
        cmocka_unit_test(comments_of_mariadb),
        cmocka_unit_test(created_otherwise), cmocka_unit_test(renames),
        cmocka_unit_test(charsets),         cmocka_unit_test(modes),
        cmocka_unit_test(comments),         cmocka_unit_test(prefixed),
        cmocka_unit_test(periods),          cmocka_unit_test(partitions),
        cmocka_unit_test(failed),           cmocka_unit_test(tools),
    };
    const int result = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    arena_free(&work);
    return result;
}
