# Read by every Spark command of this environment. `make install` copies it and puts this environment's Python and project in front.
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
