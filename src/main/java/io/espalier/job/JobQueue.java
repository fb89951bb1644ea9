package io.espalier.job;

import java.util.List;

import javax.sql.DataSource;

import com.github.kagkarlsson.scheduler.SchedulerClient;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.jdbc.datasource.TransactionAwareDataSourceProxy;
import org.springframework.scheduling.annotation.EnableScheduling;

/** The end of the queue where jobs go in. The other end is the worker's. */
@Configuration(proxyBeanMethods = false)
@EnableScheduling
class JobQueue {

    @Bean
    SchedulerClient jobQueueClient(DataSource database) {
        // why: through the proxy the queue's row is inserted in the caller's transaction
        return SchedulerClient.Builder.create(new TransactionAwareDataSourceProxy(database), List.of()).enablePriority().build();
    }
}
