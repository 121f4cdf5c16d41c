import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Checks a table of patterns against RE2/J, which Kafka compiles them with: {@code Patterns TABLE}.
 * The table's first line lists names after a hash; each other line is a pattern, a tab, and the
 * names that it matches, a question mark for none, or an exclamation mark if it is refused. Prints
 * each line as it should be where it differs; lines without a tab are patterns to be looked up.
 */
final class Patterns {
    public static void main(String[] arguments) throws IOException {
        List<String> lines = Files.readAllLines(Path.of(arguments[0]));
        String[] names = lines.get(0).substring(2).split(" ");
        List<String> differing = new ArrayList<>();
        for (String line : lines.subList(1, lines.size())) {
            String pattern = line.split("\t", -1)[0];
            String right = pattern + "\t" + outcome(pattern, names);
            if (!right.equals(line)) {
                differing.add(right);
            }
        }
        differing.forEach(System.out::println);
        System.exit(differing.isEmpty() ? 0 : 1);
    }

    private static String outcome(String pattern, String[] names) {
        try {
            Pattern compiled = Pattern.compile(pattern);
            List<String> matched = new ArrayList<>(List.of(names));
            matched.removeIf(name -> !compiled.matcher(name).matches());
            return matched.isEmpty() ? "?" : String.join(" ", matched);
        } catch (PatternSyntaxException e) {
            return "!";
        }
    }
}
