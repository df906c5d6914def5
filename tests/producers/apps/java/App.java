import java.sql.SQLException;
public class App {
  static final String REFUSED = "Connection to 10.0.0.7:8443 refused: Connection refused";
  static Exception locked() { return new IllegalStateException("order 19 not stored", new SQLException("database is locked")); }
  public static void main(String[] a) {
    if (a[0].equals("logback")) {
      var log = org.slf4j.LoggerFactory.getLogger("com.shop.Orders");
      log.info("order 17 stored in 12 ms"); log.warn("order 18 is late"); log.error(REFUSED); log.error("order 19 not stored", locked());
    } else {
      var log = org.apache.logging.log4j.LogManager.getLogger(a[0]);
      log.info("order 17 stored in 12 ms"); log.warn("order 18 is late"); log.error(REFUSED); log.error("order 19 not stored", locked());
      log.fatal("java.lang.OutOfMemoryError: Java heap space");
    }
  }
}
