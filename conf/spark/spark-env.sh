# Read by every Spark command of this environment. `make install` copies it and puts this environment's Python and project in front.
# Java reads paths as the locale says: in plain ASCII it would not find Spark, or a file, with other letters in its name.
if [ "$(locale charmap 2>/dev/null)" != UTF-8 ]; then
    rcm_locale="$(locale -a 2>/dev/null | grep -i -E '^(C|en_US)\.utf-?8$' | head -n 1)"
    if [ -n "$rcm_locale" ]; then LC_ALL="$rcm_locale"; fi
    unset rcm_locale
fi
# Spark's own SQL shell runs no Python: it gets a start file that makes the lakehouse's tables known by name. RCM_NAMES=off switches it off.
case " $* " in
*" org.apache.spark.sql.hive.thriftserver.SparkSQLCLIDriver "*)
    if [ -z "${HIVE_CONF_DIR:-}" ] && [ "${RCM_NAMES:-}" != off ]; then
        HIVE_CONF_DIR="$("$rcm_python" -m rcm_lakehouse.lake.sql_shell --home "$rcm_home" --folder "$SPARK_CONF_DIR/rcm-names")" ||
            unset HIVE_CONF_DIR
    fi
    ;;
esac
unset rcm_python rcm_home
