import java.math.BigDecimal;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.UUID;

import io.espalier.client.ApiClient;
import io.espalier.client.ApiException;
import io.espalier.client.ArtifactsApi;
import io.espalier.client.PruningJobsApi;
import io.espalier.client.model.ArtifactFile;
import io.espalier.client.model.Budget;
import io.espalier.client.model.Calibration;
import io.espalier.client.model.JobEventPage;
import io.espalier.client.model.PruningJob;
import io.espalier.client.model.PruningRecipe;

/** Prunes the bundled model through a client that was generated from the contract. Arguments: the service's address, a directory for the result. */
public final class PruneTheDemo {

    public static void main(String[] arguments) throws Exception {
        URI service = URI.create(arguments[0]);
        Path directory = Files.createDirectories(Path.of(arguments[1]));
        ApiClient client = new ApiClient();
        client.updateBaseUri(service.toString());
        PruningJobsApi jobs = new PruningJobsApi(client);

        PruningRecipe order = new PruningRecipe().model("tiny-qwen2moe")
                .calibration(new Calibration().corpus("kjv-train").sequences(8).sequenceLength(64))
                .budget(new Budget().ratio(new BigDecimal("0.25")));
        PruningJob job = jobs.submitPruningJob(order, null, UUID.randomUUID().toString());
        while (!job.getTerminal()) {
            job = jobs.getPruningJob(job.getId(), "30s", job.getState());
        }
        System.out.println(job.getState().getValue() + ": " + job.getResult().getAfter().getRoutedAtoms() + " of "
                + job.getResult().getBefore().getRoutedAtoms() + " routed atoms");

        JobEventPage events = jobs.listPruningJobEvents(job.getId(), 0L, 200, null, null);
        System.out.println(events.getItems().size() + " events, the last is " + events.getItems().getLast().getType());

        HttpClient http = HttpClient.newHttpClient();
        for (ArtifactFile file : new ArtifactsApi(client).getArtifact(job.getArtifact().getId()).getFiles()) {
            byte[] bytes = http.send(HttpRequest.newBuilder(service.resolve(file.getHref())).build(), BodyHandlers.ofByteArray()).body();
            String digest = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
            System.out.println(file.getName() + (digest.equals(file.getSha256()) ? ": OK" : ": DAMAGED"));
            Files.write(directory.resolve(file.getName()), bytes);
        }

        try {
            jobs.submitPruningJob(new PruningRecipe().model("none").budget(new Budget().ratio(new BigDecimal("1.5"))), null, null);
        } catch (ApiException refused) {
            System.out.println("refused with " + refused.getCode() + ": " + refused.getResponseBody());
        }
    }
}
