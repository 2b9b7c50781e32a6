/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/text.h"
#include "vmm/cli_words.h"
#include "vmm/manual.h"

const char completion_help[] = "Prints a script by which a shell completes commands and options of caisson:\n"
                               "  caisson completion bash >/etc/bash_completion.d/caisson\n"
                               "  caisson completion zsh >/usr/local/share/zsh/site-functions/_caisson\n"
                               "  caisson completion fish >~/.config/fish/completions/caisson.fish\n";

/* Commands whose arguments are containers that exist. */
static const char on_containers[] =
    "start exec state kill delete ps pause resume update events logs console inspect top";

static bool takes_container(const char *name)
{
    return text_has_word(on_containers, name, strlen(name));
}

static void print_names(const struct cli_table *table, FILE *out)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->commands[i].run != NULL)
            fprintf(out, "%s ", table->commands[i].name);
}

static void print_options(const char *help, FILE *out)
{
    struct cli_option option;
    const char *cursor = help;
    while (cli_next_option(&cursor, &option))
        for (unsigned i = 0; i < option.names; i++)
            fprintf(out, "%.*s ", (int)option.name[i].length, option.name[i].start);
}

static void print_bash(const struct cli_table *table, FILE *out)
{
    fputs("_caisson() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words=\n"
          "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
          "        words='",
          out);
    print_names(table, out);
    fputs("help --help --version'\n"
          "    else case $command in\n",
          out);
    for (size_t i = 0; i < table->count; i++) {
        const struct cli_command *c = &table->commands[i];
        if (c->run == NULL)
            continue;
        fprintf(out, "    %s) words='", c->name);
        print_options(c->help, out);
        fprintf(out, "--help'%s;;\n",
                takes_container(c->name) ? "; [[ $word = -* ]] || words=$(caisson list -q 2>/dev/null) " : " ");
    }
    fputs("    help) words='", out);
    print_names(table, out);
    fputs("' ;;\n"
          "    esac; fi\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "}\n"
          "complete -o default -F _caisson caisson\n",
          out);
}

static void print_zsh(const struct cli_table *table, FILE *out)
{
    fputs("#compdef caisson\n"
          "autoload -U +X bashcompinit && bashcompinit\n",
          out);
    print_bash(table, out);
}

static void print_fish_option(const char *command, const struct cli_option *option, FILE *out)
{
    fprintf(out, "complete -c caisson -n '__fish_seen_subcommand_from %s'", command);
    for (unsigned i = 0; i < option->names; i++) {
        const char *start = option->name[i].start;
        size_t n = option->name[i].length;
        unsigned dashes = n > 1 && start[1] == '-' ? 2 : 1;
        fprintf(out, " -%c %.*s", dashes == 2 ? 'l' : n == 2 ? 's' : 'o', (int)(n - dashes), start + dashes);
    }
    fputs(option->takes_value ? " -r\n" : "\n", out);
}

static void print_quoted(const char *text, FILE *out)
{
    fputc('\'', out);
    for (; *text != '\0'; text++)
        fprintf(out, *text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
    fputc('\'', out);
}

static void print_fish(const struct cli_table *table, FILE *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct cli_command *c = &table->commands[i];
        struct cli_option option;
        if (c->run == NULL)
            continue;
        fprintf(out, "complete -c caisson -f -n __fish_use_subcommand -a %s -d ", c->name);
        print_quoted(c->summary, out);
        fputc('\n', out);
        if (takes_container(c->name))
            fprintf(out,
                    "complete -c caisson -f -n '__fish_seen_subcommand_from %s' -a '(caisson list -q 2>/dev/null)'\n",
                    c->name);
        for (const char *cursor = c->help; cli_next_option(&cursor, &option);)
            print_fish_option(c->name, &option, out);
    }
}

struct shell {
    const char *name;
    void (*print)(const struct cli_table *table, FILE *out);
};

static const struct shell shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

int completion_print(const struct cli_table *table, const char *shell, FILE *out)
{
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
        if (strcmp(shells[i].name, shell) == 0) {
            shells[i].print(table, out);
            return 0;
        }
    return -1;
}

int completion_main(const struct cli_io *io, int argc, char **argv)
{
    if (argc != 2)
        return cli_refuse(io, argv[0], argc < 2 ? "no shell given; there are" : "unexpected argument",
                          argc < 2 ? "bash, zsh, fish" : argv[2]);
    return completion_print(&cli_commands, argv[1], io->out) == 0 ? CLI_EXIT_OK
                                                                  : cli_refuse(io, argv[0], "unknown shell", argv[1]);
}
