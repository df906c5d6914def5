// One application, three loggers: node app.mjs pino|winston|bunyan
import pino from 'pino';
import winston from 'winston';
import bunyan from 'bunyan';

const refused = 'connect ECONNREFUSED 10.0.0.7:8443';
const makers = {
  pino: () => pino({ name: 'orders' }),
  winston: () => winston.createLogger({
    defaultMeta: { service: 'orders' },
    format: winston.format.combine(winston.format.timestamp(), winston.format.errors({ stack: true }), winston.format.json()),
    transports: [new winston.transports.Console()],
  }),
  bunyan: () => bunyan.createLogger({ name: 'orders' }),
};
const log = makers[process.argv[2]]();
log.info('order 17 stored in 12 ms');
log.warn('order 18 is late');
log.error(refused);
const error = new Error('SQLITE_BUSY: database is locked');
if (process.argv[2] === 'winston') log.error(error); else log.error({ err: error }, 'order 19 not stored');
