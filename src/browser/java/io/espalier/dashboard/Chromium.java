package io.espalier.dashboard;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Playwright;
import io.espalier.EspalierApplication;
import io.espalier.TestDatabase;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.util.FileSystemUtils;

/**
 * The service with its worker, and the machine's Chromium: started once for all classes of this room, stopped after the last. Where there is no Chromium,
 * they are skipped with a sentence.
 */
final class Chromium implements BeforeAllCallback {

    static final Path PICTURES = Path.of("target/dashboard");

    private static final List<Path> PLACES = List.of(Path.of("/usr/bin/chromium"), Path.of("/usr/bin/chromium-browser"),
            Path.of("/usr/bin/google-chrome"));

    private record Running(Path data, ConfigurableApplicationContext service, Playwright playwright, Browser browser)
            implements
                AutoCloseable {

        static Running start(Path chromium) {
            try {
                Files.createDirectories(PICTURES);
                Path data = Files.createTempDirectory("dashboard");
                ConfigurableApplicationContext service = new SpringApplicationBuilder(EspalierApplication.class).run(
                        "--espalier.data-dir=" + data, "--server.port=0", "--espalier.database.mode=external",
                        "--spring.datasource.url=" + TestDatabase.fresh(), "--spring.datasource.username=postgres",
                        "--spring.datasource.password=postgres", "--espalier.worker.devices=cpu");
                Playwright playwright = Playwright
                        .create(new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
                return new Running(data, service, playwright, playwright.chromium()
                        .launch(new BrowserType.LaunchOptions().setExecutablePath(chromium).setTimeout(Visitor.PATIENCE)
                                .setArgs(List.of("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"))));
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
        }

        @Override
        public void close() throws IOException {
            browser.close();
            playwright.close();
            service.close();
            FileSystemUtils.deleteRecursively(data);
        }
    }

    private Running running;

    @Override
    public void beforeAll(ExtensionContext context) {
        Path chromium = PLACES.stream().filter(Files::isExecutable).findFirst().orElse(null);
        assumeTrue(chromium != null, "no Chromium among " + PLACES + ": the dashboard is not tested (apt-get install chromium)");
        running = context.getRoot().getStore(ExtensionContext.Namespace.create(Chromium.class)).computeIfAbsent(Running.class,
                _ -> Running.start(chromium), Running.class);
    }

    String address() {
        return "http://127.0.0.1:" + running.service().getEnvironment().getProperty("local.server.port");
    }

    Browser browser() {
        return running.browser();
    }
}
